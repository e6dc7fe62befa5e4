// Package evloop drives many client connections from one goroutine, on Linux's epoll: a connection costs a descriptor and
// a small struct. Whoever owns a Loop calls Poll in a loop; handlers are called from within, one at a time.
package evloop
