//go:build !linux

package process

import (
	"errors"
	"time"
)

// CPU fails: processes are measured on Linux only.
func CPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// Memory is what a process holds of the machine's memory, in bytes.
type Memory struct {
	Resident     int64 // all of it
	Anonymous    int64 // without mapped files
	Proportional int64 // with shared pages divided
}

// MemoryOf fails: processes are measured on Linux only.
func MemoryOf(int) (Memory, error) { return Memory{}, errors.ErrUnsupported }
