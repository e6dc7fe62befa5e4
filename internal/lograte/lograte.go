// Package lograte writes one line where a thousand would say the same.
package lograte

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Every is how long a cause is silent after a line, for those who have no reason to choose.
const Every = time.Minute

// maxCauses bounds what is remembered; further causes share one line.
const maxCauses = 128

// Logger writes the first event of a cause at once. Those that follow it within the interval are counted, and become one
// line at its end: the last of them, with the attribute "repeated" saying how many there were. So a cause has one line
// per interval at most and no event is untold. It is safe for concurrent use.
type Logger struct {
	log   *slog.Logger
	every time.Duration

	mu     sync.Mutex
	causes map[string]*cause
	closed bool
}

// cause is what happened lately for one reason.
type cause struct {
	timer *time.Timer // ends the interval
	count uint64      // since the last line
	last  line
}

type line struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// New returns a logger that writes to log one line per cause and interval. Close it when its owner ends.
func New(log *slog.Logger, every time.Duration) *Logger {
	return &Logger{log: log, every: every, causes: make(map[string]*cause)}
}

// Log tells of an event. The cause is a word that the program chose: what a client sent would make as many causes as it
// likes, so it belongs in attrs.
func (l *Logger) Log(ctx context.Context, level slog.Level, why, message string, attrs ...slog.Attr) {
	if !l.log.Enabled(ctx, level) {
		return
	}
	if l.first(why, line{level, message, attrs}) {
		l.log.LogAttrs(ctx, level, message, attrs...)
	}
}

// first reports whether the line is to be written now; else it is counted.
func (l *Logger) first(why string, now line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return true
	}
	c := l.causes[why]
	if c == nil && len(l.causes) >= maxCauses {
		why = ""
		c = l.causes[why]
	}
	if c != nil {
		c.count++
		c.last = now
		return false
	}
	c = &cause{}
	c.timer = time.AfterFunc(l.every, func() { l.tick(why, c) })
	l.causes[why] = c
	return true
}

// tick ends an interval: what was counted is told, or else the cause forgotten.
func (l *Logger) tick(why string, c *cause) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	count, last := c.count, c.last
	c.count, c.last = 0, line{}
	if count == 0 {
		delete(l.causes, why)
	} else {
		c.timer.Reset(l.every)
	}
	l.mu.Unlock()
	l.tell(count, last)
}

func (l *Logger) tell(count uint64, last line) {
	if count == 0 {
		return
	}
	attrs := append(last.attrs[:len(last.attrs):len(last.attrs)], slog.Uint64("repeated", count))
	// The events' own contexts are over by now.
	l.log.LogAttrs(context.Background(), last.level, last.message, attrs...)
}

// Close tells what was counted and stops the timers. What is logged afterwards is written line by line.
func (l *Logger) Close() {
	l.mu.Lock()
	causes := l.causes
	l.causes, l.closed = nil, true
	l.mu.Unlock()
	for _, c := range causes {
		c.timer.Stop()
		l.tell(c.count, c.last)
	}
}
