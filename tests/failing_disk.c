/* A disk that fails or is slow: loaded into a program by LD_PRELOAD, see `failing_disk` in tests/disks.py.

   FAILING_CALLS  of open, write, fsync, rename, separated by commas
   FAILING_PATH   they fail where this is part of the path
   FAILING_TIMES  that often, counted over all processes that have the same FAILING_COUNT
   FAILING_COUNT  a file; it gets a byte for each failure
   FAILING_ERRNO  as a number; 0 = they succeed, FAILING_DELAY milliseconds later */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int (*count_open)(const char *, int, ...);
static ssize_t (*count_write)(int, const void *, size_t);

static int named(const char *call) {
  const char *calls = getenv("FAILING_CALLS");
  const char *found = calls ? strstr(calls, call) : NULL;
  return found != NULL;
}

static int fails(const char *call, const char *path) {
  const char *part = getenv("FAILING_PATH"), *count = getenv("FAILING_COUNT");
  const char *times = getenv("FAILING_TIMES"), *number = getenv("FAILING_ERRNO"), *delay = getenv("FAILING_DELAY");
  if (!part || !count || !path || !named(call) || !strstr(path, part) || !strcmp(path, count)) return 0;
  if (!count_open) {
    count_write = dlsym(RTLD_NEXT, "write");
    count_open = dlsym(RTLD_NEXT, "open");
  }
  int file = count_open(count, O_WRONLY | O_APPEND | O_CREAT, 0666);
  struct stat status;
  if (file < 0) return 0;
  int now = flock(file, LOCK_EX) == 0 && fstat(file, &status) == 0 && status.st_size < atoll(times ? times : "1");
  if (now && count_write(file, ".", 1) != 1) now = 0;
  close(file);
  if (!now) return 0;
  if (delay) {
    long wait = atol(delay);
    struct timespec pause = {wait / 1000, wait % 1000 * 1000000};
    nanosleep(&pause, NULL);
  }
  errno = number ? atoi(number) : EIO;
  return errno != 0;
}

static int fails_on(const char *call, int file) {
  char link[64], path[PATH_MAX + 1];
  if (!getenv("FAILING_PATH") || !named(call)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

#define REAL(type, name, ...)                       \
  static type (*real)(__VA_ARGS__);                 \
  if (!real) real = dlsym(RTLD_NEXT, name)

#define OPEN(symbol)                                                       \
  int symbol(const char *path, int flags, ...) {                          \
    REAL(int, #symbol, const char *, int, ...);                            \
    va_list more;                                                          \
    va_start(more, flags);                                                 \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                          \
    return fails("open", path) ? -1 : real(path, flags, mode);             \
  }

#define OPENAT(symbol)                                                     \
  int symbol(int folder, const char *path, int flags, ...) {              \
    REAL(int, #symbol, int, const char *, int, ...);                       \
    va_list more;                                                          \
    va_start(more, flags);                                                 \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                          \
    return fails("open", path) ? -1 : real(folder, path, flags, mode);     \
  }

#define WRITE(symbol, parameters, arguments)          \
  ssize_t symbol parameters {                         \
    static ssize_t (*real) parameters;                \
    if (!real) real = dlsym(RTLD_NEXT, #symbol);      \
    return fails_on("write", file) ? -1 : real arguments; \
  }

#define SYNC(symbol)                                  \
  int symbol(int file) {                              \
    REAL(int, #symbol, int);                          \
    return fails_on("fsync", file) ? -1 : real(file); \
  }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
WRITE(write, (int file, const void *bytes, size_t count), (file, bytes, count))
WRITE(pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
WRITE(pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
WRITE(writev, (int file, const struct iovec *parts, int count), (file, parts, count))
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  return fails("rename", from) || fails("rename", to) ? -1 : real(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  REAL(int, "renameat", int, const char *, int, const char *);
  return fails("rename", from) || fails("rename", to) ? -1 : real(from_folder, from, to_folder, to);
}
