// Package local joins processes of one machine into a cluster, without any server: they share a directory.
//
//	driver, err := local.New(local.Options{Dir: "/run/peal"})
//	io := socketio.NewServer(&socketio.Options{Driver: driver})
//
// It is for the workers of a machine with several cores, and for tests. One of the processes is the host: it passes on what
// the others send, in one order for all, on a socket in the directory. When it ends, another takes its place at once, and
// every process sends again what it sent last: what has arrived already is known by its number, and so is what is missing,
// which is counted as a gap. On the socket are the messages of package nodewire.
package local
