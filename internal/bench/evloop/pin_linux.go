package evloop

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Pin keeps the calling goroutine on one core until release is called. A server that a client's bytes wake is otherwise
// put behind that client on the client's own core, as if the client were about to wait for the answer, while the other
// core has nothing to do. Where the process may use one core only, nothing happens.
func Pin() (release func()) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil || before.Count() < 2 {
		return runtime.UnlockOSThread
	}
	last := len(before)*64 - 1
	for !before.IsSet(last) {
		last--
	}
	one.Set(last)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		if unix.SchedSetaffinity(0, &before) == nil { // else the thread ends with the goroutine
			runtime.UnlockOSThread()
		}
	}
}
