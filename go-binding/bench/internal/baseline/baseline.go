//go:build cgo

// Package baseline is what the measurements are set against: what any call into C costs. It is cgo outside internal/capi, for it has
// nothing to do with the library.
package baseline

/*
#include <string.h>

// Not inlined, so that there is a call.
__attribute__((noinline)) static void empty(void) { __asm__ volatile(""); }

static void copy(void *to, const void *from, size_t n) { memcpy(to, from, n); }

#cgo noescape copy
#cgo nocallback copy
*/
import "C"

import "unsafe"

// Empty calls a C function that does nothing.
func Empty() { C.empty() }

// Copy is C's memcpy of len(to) bytes, which from has too.
func Copy(to, from []byte) {
	C.copy(unsafe.Pointer(unsafe.SliceData(to)), unsafe.Pointer(unsafe.SliceData(from)), C.size_t(min(len(to), len(from))))
}
