// Package admission bounds how many clients a server lets in. One [Gate] may stand before several doors, so that Socket.IO
// sessions and event streams count together.
package admission
