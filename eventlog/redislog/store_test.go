package redislog_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/eventlog/logtest"
	"github.com/peal-dev/peal/eventlog/redislog"
	"github.com/peal-dev/peal/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	server := testredis.Start(t)
	logtest.RunDistant(t, distant(server.URL()))
}

func TestStoreInACluster(t *testing.T) {
	t.Parallel()
	cluster := testredis.StartCluster(t)
	logtest.RunDistant(t, distant(cluster.URL()))
}

// distant makes stores that have nothing in common.
func distant(url string) func(t *testing.T) logtest.Distant {
	return func(t *testing.T) logtest.Distant {
		t.Helper()
		s, err := redislog.New(redislog.Options{URL: url, Prefix: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		return logtest.Distant{Store: s, Pass: s.OwnClock()}
	}
}
