// Command zishang serves the load generator's handlers with github.com/zishang520/socket.io, as interop/server does with
// Peal. It is a module of its own, so that it is built with what its authors say, and measured as such.
package main
