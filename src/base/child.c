// Child processes that report by lines.
#include "base/child.h"

#include "base/status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int gb_child_start(gb_child *child, int (*work)(void *user, FILE *lines), void *user)
{
    int ends[2];
    *child = (gb_child){.fd = -1};
    fflush(NULL); // else the child might print it again
    if (pipe(ends) < 0)
        return gb_fail(GB_ERR_IO, "a pipe to a child process: %s", strerror(errno));
    child->pid = fork();
    if (child->pid < 0) {
        close(ends[0]);
        close(ends[1]);
        child->pid = 0;
        return gb_fail(GB_ERR_IO, "a child process: %s", strerror(errno));
    }
    if (child->pid == 0) {
        close(ends[0]);
        FILE *lines = fdopen(ends[1], "w");
        if (lines)
            setvbuf(lines, NULL, _IOLBF, BUFSIZ);
        int code = lines ? work(user, lines) : 1;
        if (lines)
            fflush(lines);
        fflush(stderr);
        _exit(code ? 1 : 0); // without the parent's exit handlers
    }
    close(ends[1]);
    child->fd = ends[0];
    return 0;
}

// The first whole line of the buffer, if there is one, or what there is where `all`.
static bool take_line(gb_child *child, char *line, size_t size, bool all)
{
    char *end = memchr(child->buffer, '\n', child->used);
    if (!end && !(all && child->used) && child->used < sizeof child->buffer)
        return false;
    size_t length = end ? (size_t)(end - child->buffer) : child->used;
    size_t gone = length + (end != NULL);
    size_t kept = length < size - 1 ? length : size - 1;
    memcpy(line, child->buffer, kept);
    line[kept] = 0;
    child->used -= gone;
    memmove(child->buffer, child->buffer + gone, child->used);
    return true;
}

static gb_child_event ended(gb_child *child)
{
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = 0;
    if (WIFSIGNALED(status))
        return GB_CHILD_CRASHED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? GB_CHILD_DONE : GB_CHILD_FAILED;
}

gb_child_event gb_child_next(gb_child *child, char *line, size_t size, double seconds,
                             bool (*stop)(void))
{
    const double until = now() + seconds;
    for (;;) {
        if (take_line(child, line, size, false))
            return GB_CHILD_LINE;
        if (stop && stop())
            return GB_CHILD_STOPPED;
        double left = until - now();
        if (left <= 0)
            return GB_CHILD_SILENT;
        struct pollfd one = {.fd = child->fd, .events = POLLIN};
        int ready = poll(&one, 1, left < 0.1 ? (int)(left * 1e3) + 1 : 100);
        if (ready <= 0)
            continue;
        ssize_t n = read(child->fd, child->buffer + child->used,
                         sizeof child->buffer - child->used);
        if (n > 0)
            child->used += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return take_line(child, line, size, true) ? GB_CHILD_LINE : ended(child);
    }
}

void gb_child_stop(gb_child *child)
{
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (child->pid || child->fd > 0)
        close(child->fd);
    *child = (gb_child){.fd = -1};
}
