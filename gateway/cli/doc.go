// Package cli is the command line of the peal binary: serve, pub, sub, version. It reads flags, the environment and the
// configuration file, and prints; what a node does is the business of package gateway.
package cli
