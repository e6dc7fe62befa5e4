// Package homes knows which other processes of a cluster are there. Each says so once a second, in as few of its namespaces as it
// takes for all to hear it: who is silent for three seconds is dead, for all its links at once, until it is heard again.
package homes
