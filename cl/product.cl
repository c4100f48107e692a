// Batched matrix product: one work-item computes MR rows x NR columns in registers.
//   C[row * c_row + col] (+)= scale * sum_k A[row * a_row + k * a_col] * B[k * b_row + col]
// offsets[3][batch] are those of A, B and C.
#define NV (NR / VW)
#define FOR_TILE(i, j)                             \
    _Pragma("unroll") for (int i = 0; i < MR; i++) \
        _Pragma("unroll") for (int j = 0; j < NV; j++)

kernel void product(global const float *restrict a, int a_row, int a_col,
                    global const float *restrict b, int b_row, global float *restrict c, int c_row,
                    global const int *restrict offsets, int m, int n, int k_count, float scale,
                    int add)
{
    int batch = get_global_id(2), batches = get_global_size(2);
    // The last rows and columns are computed as a full tile that ends there; only the new ones are
    // stored. Where there are fewer than a tile, rows repeat and columns are 0.
    int first_row = get_global_id(1) * MR, first = get_global_id(0) * NR;
    int m0 = max(min(first_row, m - MR), 0), n0 = max(min(first, n - NR), 0);
    int columns = min(n - n0, NR);
    a += offsets[batch];
    b += offsets[batches + batch] + n0;
    c += offsets[2 * batches + batch] + n0;

    global const float *row[MR];
#pragma unroll
    for (int i = 0; i < MR; i++)
        row[i] = a + (size_t)min(m0 + i, m - 1) * a_row;
    vf sum[MR][NV], acc[MR][NV];
    FOR_TILE(i, j)
        acc[i][j] = VBROADCAST(0.0f);
    for (int k = 0; k < k_count;) {
        if (k > 0)
            FOR_TILE(i, j) {
                sum[i][j] = k > SUM_BLOCK ? sum[i][j] + acc[i][j] : acc[i][j];
                acc[i][j] = VBROADCAST(0.0f);
            }
        int end = min(k + SUM_BLOCK, k_count);
        for (long at = (long)k * a_col; k < end; k++, at += a_col, b += b_row) {
            vf v[NV];
#pragma unroll
            for (int j = 0; j < NV; j++)
                v[j] = columns == NR ? VLOAD(b + j * VW)
                                     : vload_first(b + j * VW, max(columns - j * VW, 0));
#pragma unroll
            for (int i = 0; i < MR; i++) {
                vf s = VBROADCAST(row[i][at]);
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[i][j] = fma(s, v[j], acc[i][j]);
            }
        }
    }
    FOR_TILE(i, j)
        acc[i][j] = (k_count > SUM_BLOCK ? sum[i][j] + acc[i][j] : acc[i][j]) * scale;

    if (m0 == first_row && n0 == first && m0 + MR <= m && columns == NR) {
        if (add)
            FOR_TILE(i, j)
                acc[i][j] += VLOAD(c + (size_t)(m0 + i) * c_row + j * VW);
        FOR_TILE(i, j)
            VSTORE(acc[i][j], c + (size_t)(m0 + i) * c_row + j * VW);
        return;
    }
    float tile[MR][NR];
    FOR_TILE(i, j)
        VSTORE(acc[i][j], tile[i] + j * VW);
    for (int i = first_row - m0; i < min(MR, m - m0); i++) {
        global float *to = c + (size_t)(m0 + i) * c_row;
        for (int col = first - n0; col < columns; col++)
            to[col] = add ? to[col] + tile[i][col] : tile[i][col];
    }
}
