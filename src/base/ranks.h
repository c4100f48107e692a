// The processes of one job, started by mpirun: who they are, and what they do together.
//
// Without mpirun, and in a build without MPI, there is one process: rank 0 of 1, for whom all of
// this is nothing or a copy. Calls marked "collective" are made by every rank, in the same order. A
// rank that fails between two of them, where others would wait for it, calls gb_ranks_abort.
#ifndef GB_BASE_RANKS_H
#define GB_BASE_RANKS_H

#include <stddef.h>

// One zeroed but for size 1 is a job of one process; so is a NULL pointer below.
typedef struct gb_ranks {
    int rank, size;
    int local_rank; // among the ranks of this machine: which of its devices is this rank's
} gb_ranks;

// Joins the job. Before other threads start, once a process. GB_ERR_UNSUPPORTED: mpirun started
// several processes of a build without MPI.
int gb_ranks_start(gb_ranks *out);
// Leaves it; collective. Without a start it does nothing.
void gb_ranks_finish(void);

// Collective: when some rank passes a negative status, every rank returns that of the first of them
// and has its message ("rank 2: ..." where others were fine). Else 0.
int gb_ranks_agree(const gb_ranks *r, int err);

// Collective: values[i] becomes the sum over all ranks, added in the order of ranks, in double: the
// same bits on every rank and in every run.
int gb_ranks_sum(const gb_ranks *r, float *values, size_t count);

// Collective: as many bytes of every rank, in the order of ranks, for everybody: all[size][bytes].
void gb_ranks_all(const gb_ranks *r, void *all, const void *mine, int bytes);

// Collective: rank 0 gets the ranks' bytes one after the other, *all malloc'ed and the caller's to
// free; the others get NULL and 0.
int gb_ranks_gather(const gb_ranks *r, void **all, size_t *total, const void *mine, size_t bytes);

// Collective: rank 0's bytes for everybody.
void gb_ranks_share(const gb_ranks *r, void *data, size_t bytes);

// Collective: nobody goes on before all have arrived.
void gb_ranks_wait(const gb_ranks *r);

// Says this rank's last error on standard error and ends the whole job with that exit code. In a
// job of one it returns.
void gb_ranks_abort(const gb_ranks *r, int code);

#endif
