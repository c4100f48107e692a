// Batched matrix product: one work-item computes MR rows x NR columns in registers.
//   C[row * c_row + col] (+)= scale * sum_k A[row * a_row + k * a_col] * B[k * b_row + col]
// offsets[3][batch] are those of A, B and C.
#define NV (NR / VW)

kernel void product(global const float *restrict a, int a_row, int a_col,
                    global const float *restrict b, int b_row, global float *restrict c, int c_row,
                    global const int *restrict offsets, int m, int n, int k_count, float scale,
                    int add)
{
    int batch = get_global_id(2), batches = get_global_size(2);
    int m0 = get_global_id(1) * MR, first = get_global_id(0) * NR;
    // The last columns are computed as a full tile that ends there; only the new ones are stored.
    int n0 = n < NR ? 0 : min(first, n - NR), left = min(n - n0, NR);
    a += offsets[batch];
    b += offsets[batches + batch] + n0;
    c += offsets[2 * batches + batch] + n0;

    global const float *row[MR];
    vf sum[MR][NV], acc[MR][NV];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        row[i] = a + (size_t)min(m0 + i, m - 1) * a_row;
#pragma unroll
        for (int j = 0; j < NV; j++)
            sum[i][j] = acc[i][j] = VBROADCAST(0.0f);
    }
    for (int k = 0; k < k_count;) {
        int end = min(k + SUM_BLOCK, k_count);
        for (; k < end; k++, b += b_row) {
            vf v[NV];
#pragma unroll
            for (int j = 0; j < NV; j++)
                v[j] = left == NR ? VLOAD(b + j * VW) : vload_first(b + j * VW, left - j * VW);
#pragma unroll
            for (int i = 0; i < MR; i++) {
                vf s = VBROADCAST(row[i][(size_t)k * a_col]);
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[i][j] = fma(s, v[j], acc[i][j]);
            }
        }
#pragma unroll
        for (int i = 0; i < MR; i++)
#pragma unroll
            for (int j = 0; j < NV; j++) {
                sum[i][j] += acc[i][j];
                acc[i][j] = VBROADCAST(0.0f);
            }
    }
#pragma unroll
    for (int i = 0; i < MR; i++) {
        if (m0 + i >= m)
            break;
        global float *to = c + (size_t)(m0 + i) * c_row;
#pragma unroll
        for (int j = 0; j < NV; j++) {
            vf v = sum[i][j] * scale;
            if (n0 == first && left == NR) {
                VSTORE(add ? v + VLOAD(to + j * VW) : v, to + j * VW);
                continue;
            }
            float lane[VW];
            VSTORE(v, lane);
            for (int l = 0; l < VW; l++) {
                int col = j * VW + l;
                if (n0 + col >= first && col < left)
                    to[col] = add ? to[col] + lane[l] : lane[l];
            }
        }
    }
}
