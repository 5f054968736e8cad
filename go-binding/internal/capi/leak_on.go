//go:build elementum_leakcheck

package capi

import (
	"fmt"
	"runtime/debug"
)

// opened remembers where a handle was opened. One that the garbage collector finds before anybody closed it ends the program.
func opened(what string) (lost func()) {
	stack := debug.Stack()
	return func() { panic(fmt.Sprintf("a %s was never closed; it was opened here:\n%s", what, stack)) }
}
