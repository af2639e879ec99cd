#include <malloc.h>

// settle gives the process one malloc arena. glibc makes up to eight per CPU,
// one for each thread that calls it, and Go calls C on whatever thread it has:
// a decoder that wanders through the arenas touches megabytes in each, while
// with one the resident size does not grow at all. Nobody but the C code of
// this package calls malloc, a few times per frame, so that nothing is lost.
//
// It is a constructor because the threads of Go's runtime have their arenas
// before the first line of Go runs.
__attribute__((constructor)) static void settle(void) {
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 1);
#endif
}
