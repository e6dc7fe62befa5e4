package evloop

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Pin keeps the calling goroutine on one core until release is called. A server that a client's bytes wake is otherwise
// put behind that client on the client's own core, as if the client were about to wait for the answer, while the other
// core has nothing to do. Where the process may use one core only, it stays where it is. Until then the goroutine also
// wakes when it wanted to, and not up to 50 µs later, as the kernel has it to save power.
func Pin() (release func()) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // later without, not wrong
	unpin := pin()
	return func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // 0 is the default
		unpin()
	}
}

// pin keeps the thread of a goroutine that is locked to it on one core.
func pin() (release func()) {
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
