package process

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the processor time that a process has used, in user and kernel mode, ended threads included. It has the
// scheduler's resolution, nanoseconds, where /proc/PID/stat counts in hundredths of a second.
func CPU(pid int) (time.Duration, error) {
	const cpuClockSched = 2 // <linux/posix-timers.h>: the clock of a whole process
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Memory is what a process holds of the machine's memory, in bytes.
type Memory struct {
	Resident  int64 // all of it
	Anonymous int64 // without mapped files, which are shared or can be dropped

	// Proportional is Resident with each page divided by the number of processes that share it, so that the memory of
	// several processes can be added up.
	Proportional int64
}

// MemoryOf returns the memory of a process, exactly, as the kernel adds it up for smaps_rollup.
func MemoryOf(pid int) (Memory, error) {
	var m Memory
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 2 {
			continue
		}
		to := map[string]*int64{"Rss:": &m.Resident, "Pss:": &m.Proportional, "Anonymous:": &m.Anonymous}[string(fields[0])]
		if to == nil {
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return m, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		*to = kib << 10
	}
	if m.Resident == 0 {
		return m, fmt.Errorf("memory of process %d: smaps_rollup says nothing (has it ended?)", pid)
	}
	return m, nil
}
