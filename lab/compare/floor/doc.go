// Command floor is the least a server can do for the load generator: a bare epoll loop that answers the handshake with
// constants, and for each broadcast makes one write(2) of a ready frame per connection. What it costs is the kernel's
// price, to which real servers are compared.
package main
