// Package broker starts what the nodes of a measured cluster meet at: servers that nobody else uses and that store nothing.
package broker
