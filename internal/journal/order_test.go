package journal_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/peal-dev/peal/internal/journal"
	"github.com/peal-dev/peal/internal/journal/journaltest"
)

// state is a machine whose records are what was added to it: it must be as if those that failed had never been.
type state struct {
	sum  int
	told []string
}

type addition struct {
	s      *state
	n      int
	refuse error
}

func (a *addition) Append(dst []byte) ([]byte, error) {
	if a.refuse != nil {
		return dst, a.refuse
	}
	if a.n == 0 {
		return dst, nil
	}
	a.s.sum += a.n
	return fmt.Appendf(dst, "%d", a.n), nil
}

func (a *addition) Done(_ journal.Position, err error) {
	a.s.told = append(a.s.told, fmt.Sprint(a.n, err != nil))
	if err != nil {
		a.s.sum -= a.n
	}
}

func TestRecordsAreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := journaltest.NewDisk()
		j, _ := open(t, small(d))
		var s state
		refused := errors.New("refused")
		full := false
		release := make(chan struct{})
		d.Fault(func(op journaltest.Operation, _ string) error {
			if op == journaltest.Sync {
				<-release
			}
			if op == journaltest.Write && full {
				return fmt.Errorf("write: %w", enospc)
			}
			return nil
		})
		var all sync.WaitGroup
		errs := make([]error, 10)
		submit := func(i, n int, refuse error) {
			all.Go(func() { errs[i] = j.Submit(t.Context(), journal.OnDisk, 10, &addition{&s, n, refuse}) })
			synctest.Wait()
		}
		submit(0, 1, nil)
		submit(1, 2, nil)
		submit(2, 3, refused)
		submit(3, 0, nil)
		submit(4, 5, nil)
		close(release)
		all.Wait()
		if fmt.Sprint(errs[:5]) != "[<nil> <nil> refused <nil> <nil>]" || s.sum != 8 || fmt.Sprint(s.told) != "[1 false 2 false 0 false 5 false]" {
			t.Errorf("errors %v, told %q, sum %d", errs, s.told, s.sum)
		}
		s.told, full, release = nil, true, make(chan struct{})
		d.Fault(func(op journaltest.Operation, _ string) error {
			if op == journaltest.Write && full {
				<-release
				return fmt.Errorf("write: %w", enospc)
			}
			return nil
		})
		submit(5, 10, nil)
		submit(6, 20, nil)
		submit(7, 0, nil)
		submit(8, 30, nil)
		close(release)
		all.Wait()
		for i, err := range errs[5:9] {
			if !errors.Is(err, journal.ErrFull) {
				t.Errorf("number %d: %v", i, err)
			}
		}
		if s.sum != 8 || fmt.Sprint(s.told) != "[10 true 30 true 0 true 20 true]" {
			t.Errorf("told %q, sum %d", s.told, s.sum)
		}
		full = false
		if err := j.Submit(t.Context(), journal.OnDisk, 10, &addition{&s, 100, nil}); err != nil || s.sum != 108 {
			t.Errorf("%v, sum %d", err, s.sum)
		}
		_ = j.Close()
		_, found := open(t, small(d))
		if fmt.Sprint(found) != "[1 2 5 100]" {
			t.Errorf("kept: %q", found)
		}
	})
}
