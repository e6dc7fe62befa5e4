// Package memlog keeps topics in the memory of this process: for tests, and for programs whose topics need not outlive them.
package memlog
