//go:build !race && !asan

package codec

const instrumented = false
