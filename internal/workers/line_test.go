package workers_test

import (
	"context"
	"testing"

	"github.com/peal-dev/peal/internal/workers"
)

func TestLineKeepsOrderAndWaitsForNobody(t *testing.T) {
	t.Parallel()
	var pool workers.Pool
	line := workers.Line{Pool: &pool}
	blocked, release := make(chan struct{}), make(chan struct{})
	line.Run(task(func() { close(blocked); <-release }))
	<-blocked
	const n = 1000
	var order []int
	done := make(chan struct{})
	for i := range n { // none of these calls waits, though the line does
		line.Run(task(func() { order = append(order, i) }))
	}
	line.Run(task(func() { line.Run(task(func() { close(done) })) }))
	close(release)
	<-done
	for i, got := range order {
		if got != i {
			t.Fatalf("task %d ran in place of %d", got, i)
		}
	}
	if len(order) != n {
		t.Errorf("%d tasks ran, want %d", len(order), n)
	}
	again := make(chan struct{})
	line.Run(task(func() { close(again) })) // after it had come to rest
	<-again
	if err := pool.Wait(context.Background()); err != nil {
		t.Error(err)
	}
}
