package redislog

import (
	"strconv"
	"sync/atomic"
	"time"
)

// OwnClock has the store's time stand still, but for what the result lets pass.
func (s *Store) OwnClock() (pass func(time.Duration)) {
	var ms atomic.Int64
	ms.Store(time.Now().UnixMilli())
	s.clock = func() string { return strconv.FormatInt(ms.Load(), 10) }
	return func(d time.Duration) { ms.Add(d.Milliseconds()) }
}
