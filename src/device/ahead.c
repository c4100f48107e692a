// Builds programs ahead of their use, in a thread of its own beside the recording of a session.
#include "device/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct wanted {
    char *name, *options;
} wanted;

struct gb_ahead {
    gb_device *dev;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    wanted *list;
    size_t count, next, room;
    bool end;
};

static void *build(void *user)
{
    gb_ahead *a = user;
    pthread_mutex_lock(&a->lock);
    while (!a->end) {
        if (a->next == a->count) {
            pthread_cond_wait(&a->more, &a->lock);
            continue;
        }
        const wanted w = a->list[a->next++];
        pthread_mutex_unlock(&a->lock);
        cl_program program;
        gb_program_get(&program, a->dev, w.name, w.options, NULL); // who needs it meets the error
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static gb_ahead *start(gb_device *dev)
{
    gb_ahead *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->dev = dev;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->more, NULL);
    if (pthread_create(&a->thread, NULL, build, a)) {
        free(a);
        return NULL;
    }
    return a;
}

static bool is_known(const gb_ahead *a, const char *name, const char *options)
{
    for (size_t i = 0; i < a->count; i++)
        if (!strcmp(a->list[i].name, name) && !strcmp(a->list[i].options, options))
            return true;
    return false;
}

void gb_program_ahead(gb_device *dev, const char *name, const char *options)
{
    if (!dev->compiles_late)
        return;
    gb_ahead *a = dev->ahead ? dev->ahead : (dev->ahead = start(dev));
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    if (!is_known(a, name, options) &&
        gb_grow(&a->list, &a->room, a->count + 1, sizeof *a->list) == 0) {
        const wanted w = {strdup(name), strdup(options)};
        if (w.name && w.options) {
            a->list[a->count++] = w;
            pthread_cond_signal(&a->more);
        } else {
            free(w.name);
            free(w.options);
        }
    }
    pthread_mutex_unlock(&a->lock);
}

void gb_ahead_free(gb_ahead *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->end = true;
    pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    for (size_t i = 0; i < a->count; i++) {
        free(a->list[i].name);
        free(a->list[i].options);
    }
    free(a->list);
    pthread_cond_destroy(&a->more);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
