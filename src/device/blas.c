// Matrix products by CLBlast, as launches like any other.
#include "device/internal.h"

#include <clblast_c.h>
#include <stdio.h>
#include <stdlib.h>

struct gb_gemm {
    gb_gemm_call call;
    cl_mem a, b, c;
    float *alpha, *beta; // [batches]
    size_t *offset;      // [3][batches]
};

void gb_gemm_free(gb_gemm *gemm)
{
    if (!gemm)
        return;
    free(gemm->alpha);
    free(gemm->beta);
    free(gemm->offset);
    free(gemm);
}

int gb_kernel_create_gemm(gb_kernel **out, gb_device *dev, gb_buf *a, gb_buf *b, gb_buf *c,
                          const gb_gemm_call *call)
{
    size_t n = (size_t)call->batches;
    gb_kernel *k = calloc(1, sizeof *k);
    gb_gemm *gemm = calloc(1, sizeof *gemm);
    if (!k || !gemm)
        goto fail;
    *gemm = (gb_gemm){.call = *call, .a = a->mem, .b = b->mem, .c = c->mem,
                      .alpha = calloc(n, sizeof(float)), .beta = calloc(n, sizeof(float)),
                      .offset = calloc(3 * n, sizeof(size_t))};
    if (!gemm->alpha || !gemm->beta || !gemm->offset || asprintf(&k->name, "CLBlast.gemm") < 0)
        goto fail;
    for (size_t i = 0; i < 3 * n; i++)
        gemm->offset[i] = (size_t)call->offsets[i];
    for (size_t i = 0; i < n; i++) {
        gemm->alpha[i] = call->alpha;
        gemm->beta[i] = call->beta;
    }
    k->dev = dev;
    k->gemm = gemm;
    k->sized = true;
    k->global[0] = k->global[1] = k->global[2] = 1;
    *out = k;
    return 0;
fail:
    gb_gemm_free(gemm);
    free(k);
    return gb_fail(GB_ERR_NOMEM, "out of memory");
}

int gb_gemm_enqueue(gb_kernel *k)
{
    const gb_gemm *g = k->gemm;
    const gb_gemm_call *c = &g->call;
    const size_t n = (size_t)c->batches;
    cl_command_queue queue = k->dev->queue;
    CLBlastStatusCode code = CLBlastSgemmBatched(
        CLBlastLayoutRowMajor, c->trans_a ? CLBlastTransposeYes : CLBlastTransposeNo,
        c->trans_b ? CLBlastTransposeYes : CLBlastTransposeNo, (size_t)c->m, (size_t)c->n,
        (size_t)c->k, g->alpha, g->a, g->offset, (size_t)c->lda, g->b, g->offset + n,
        (size_t)c->ldb, g->beta, g->c, g->offset + 2 * n, (size_t)c->ldc, n, &queue, NULL);
    return code == CLBlastSuccess ? 0 : gb_fail(GB_ERR_DEVICE, "%s: CLBlast's GEMM failed with %d; "
                                                "unset GIBBON_GEMM or set GIBBON_TUNE=off",
                                                k->dev->info.name, (int)code);
}
