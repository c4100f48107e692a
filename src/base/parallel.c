// Loops shared out among the host's processors.
#include "base/parallel.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

enum { MOST_THREADS = 16 };

typedef struct piece {
    void (*work)(void *user, size_t first, size_t end);
    void *user;
    size_t first, end;
    pthread_t thread;
    bool started;
} piece;

static void *run(void *p)
{
    const piece *one = p;
    one->work(one->user, one->first, one->end);
    return NULL;
}

void gb_parallel(size_t count, size_t grain, void (*work)(void *user, size_t first, size_t end),
                 void *user)
{
    piece pieces[MOST_THREADS];
    if (count / grain < 2) { // before anything asks the system how many processors there are
        if (count)
            work(user, 0, count);
        return;
    }
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = processors < 1 ? 1 : processors < MOST_THREADS ? (size_t)processors : MOST_THREADS;
    if (n > count / grain)
        n = count / grain;
    for (size_t i = 0; i < n; i++) {
        piece *p = &pieces[i];
        *p = (piece){.work = work, .user = user, .first = count * i / n,
                     .end = count * (i + 1) / n};
        // The last one, and where there is no thread to be had, this thread does itself.
        p->started = i + 1 < n && pthread_create(&p->thread, NULL, run, p) == 0;
        if (!p->started)
            run(p);
    }
    for (size_t i = 0; i < n; i++)
        if (pieces[i].started)
            pthread_join(pieces[i].thread, NULL);
}
