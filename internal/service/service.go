// Package service is what everything that runs until it is stopped has in common: a goroutine with an owner ([Service]),
// work that is let in until the owner closes ([Gate]), a stop that takes no longer than its caller waits ([Within]), and
// the pauses of what tries again ([Backoff]).
package service

import (
	"context"
	"time"
)

// Service is one goroutine that serves many callers. [Start] makes one; [Service.Stop] ends it. It is safe for concurrent
// use.
type Service struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Start calls run on a goroutine. Its context ends with Stop and hangs on no caller's, for it outlives every call.
func Start(run func(ctx context.Context)) *Service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer cancel()
		run(ctx)
	}()
	return s
}

// Stop ends the context and waits until run has returned, which must not call it. Further calls wait too.
func (s *Service) Stop() {
	s.cancel()
	<-s.done
}

// Done is closed when run has returned.
func (s *Service) Done() <-chan struct{} { return s.done }

// Within calls stop and returns when that has returned. When ctx ends before, stop goes on and ctx's error is returned.
func Within(ctx context.Context, stop func()) error {
	done := make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		stop()
	}()
	return wait(ctx, done)
}

// Pause waits for d and reports true, or false as soon as ctx ends.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// wait returns nil once done is closed, or ctx's error.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		select {
		case <-done: // it was in time
			return nil
		default:
			return ctx.Err()
		}
	}
}
