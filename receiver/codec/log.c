#include "shim.h"

#include <libavutil/log.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

// Written in Go (log.go). The line is only valid during the call.
extern void aerieLog(int level, char *line, int suppressed);

enum {
	LINES_PER_SECOND = 20,
	LINE_SIZE = 512,
};

static atomic_long second;
static atomic_int lines, suppressed;

// admit says whether one more line fits this second. Two threads that meet at
// the turn of a second may admit a few lines too many, which does no harm.
static int admit(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (atomic_exchange(&second, (long)now.tv_sec) != (long)now.tv_sec)
		atomic_store(&lines, 0);
	if (atomic_fetch_add(&lines, 1) < LINES_PER_SECOND)
		return 1;
	atomic_fetch_add(&suppressed, 1);
	return 0;
}

// forward is called on any thread of the decoder. A hostile stream may cause
// a message per macroblock, with any text that it carries in it: the line is
// cut at LINE_SIZE, and lines above the rate are only counted.
static void forward(void *context, int level, const char *format, va_list args) {
	char line[LINE_SIZE];
	int prefix = 1;
	size_t n;
	if ((level & 0xff) > av_log_get_level() || !admit())
		return;
	av_log_format_line2(context, level, format, args, line, sizeof line, &prefix);
	n = strlen(line);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	aerieLog(level & 0xff, line, atomic_exchange(&suppressed, 0));
}

void aerie_log_install(void) {
	av_log_set_level(AV_LOG_WARNING);
	av_log_set_callback(forward);
}
