package logtest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog"
	"github.com/peal-dev/peal/eventlog/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMemory(t *testing.T, count int) eventlog.Log {
	l := eventlog.NewMemory(&eventlog.Limits{Count: count})
	t.Cleanup(l.Close)
	return l
}

func TestSuite(t *testing.T) { logtest.Run(t, newMemory) }

func ExampleRun() {
	test := func(t *testing.T) { // in the tests of your log
		logtest.Run(t, func(t *testing.T, count int) eventlog.Log {
			l := eventlog.NewMemory(&eventlog.Limits{Count: count})
			t.Cleanup(l.Close)
			return l
		})
	}
	_ = test
	// Output:
}
