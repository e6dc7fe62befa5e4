// Package cli is the command line of the peal binary: serve, pub, sub, bench, plan, version, completion, help. It reads
// flags, the environment and the configuration file, and prints; what a node does is the business of package gateway, and
// measuring one that of package bench.
package cli
