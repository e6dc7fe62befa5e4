package homes_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/adapter/internal/homes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock calls Judge as often as is to be done, while this process hears itself, or does not.
type clock struct {
	t      *testing.T
	homes  homes.Homes
	now    time.Time
	proven time.Time
	beats  map[string]homes.Links // of processes that are well
	died   map[string]time.Duration
	over   []string
	back   int // how often this process was away
}

// pass has time go by and returns after how much of it which process died, by the name of its link in "/".
func (c *clock) pass(d time.Duration, deaf bool) map[string]time.Duration {
	c.died, c.over, c.back = make(map[string]time.Duration), nil, 0
	began := c.now
	for ; c.now.Sub(began) < d; c.now = c.now.Add(homes.Judging) {
		if !deaf && c.now.Sub(c.proven) >= time.Second {
			c.proven = c.now
			for id, links := range c.beats {
				for namespace, name := range links {
					c.homes.Hear(id, namespace, name, c.now)
				}
			}
		}
		v := c.homes.Judge(c.now, c.proven, time.Second)
		for _, links := range v.Died {
			c.died[links["/"]] = c.now.Sub(began)
		}
		for _, links := range v.Over {
			c.over = append(c.over, links["/"])
		}
		if v.Returned {
			c.back++
		}
	}
	return c.died
}

// in requires these links to be there in "/", and to be silent.
func (c *clock) in(there, dead []string) {
	c.t.Helper()
	gotThere, gotDead := c.homes.In("/")
	slices.Sort(gotThere)
	slices.Sort(gotDead)
	if !slices.Equal(gotThere, there) || !slices.Equal(gotDead, dead) {
		c.t.Errorf("there are %q, silent are %q; want %q and %q", gotThere, gotDead, there, dead)
	}
}

func newClock(t *testing.T) *clock {
	now := time.Unix(1_000_000, 0)
	return &clock{t: t, now: now, proven: now, beats: map[string]homes.Links{
		"A": {"/": "a", "/x": "ax"}, "B": {"/": "b"}, "C": {"/": "c", "/y": "cy"},
	}}
}

// TestSilence: who is silent is dead within three seconds, is remembered for as long as was asked for, and is back with its first beat.
func TestSilence(t *testing.T) {
	t.Parallel()
	c := newClock(t)
	c.homes.Keep = 10 * time.Second
	if died := c.pass(10*time.Second, false); len(died) > 0 {
		t.Errorf("%v died", died)
	}
	silent := c.beats["B"]
	delete(c.beats, "B")
	if died := c.pass(9*time.Second, false); len(died) != 1 || died["b"] < 1500*time.Millisecond || died["b"] > 3*time.Second {
		t.Errorf("died: %v, want b within three seconds", died)
	}
	c.in([]string{"a", "c"}, []string{"b"})
	if back := c.homes.Hear("B", "/", "b", c.now); back["/"] != "b" {
		t.Errorf("back: %v", back)
	}
	c.in([]string{"a", "b", "c"}, nil)
	if c.pass(9*time.Second, false); len(c.died) != 1 {
		t.Errorf("died: %v, want b again", c.died)
	}
	c.beats["B"] = silent
	c.pass(2*time.Second, false)
	c.in([]string{"a", "b", "c"}, nil)
	delete(c.beats, "B")
	if c.pass(12*time.Second, false); !slices.Equal(c.over, []string{"b"}) {
		t.Errorf("forgotten: %q, want b", c.over)
	}
	c.in([]string{"a", "c"}, nil)
}

// TestDeaf: a process that does not hear itself takes nobody for dead, and when it does again, not before the whole time.
func TestDeaf(t *testing.T) {
	t.Parallel()
	c := newClock(t)
	c.pass(5*time.Second, false)
	if died := c.pass(30*time.Second, true); len(died) > 0 {
		t.Errorf("%v died while nothing was heard", died)
	}
	delete(c.beats, "B")
	if died := c.pass(5*time.Second, false); len(died) != 1 || died["b"] < 2*time.Second || died["b"] > 3*time.Second {
		t.Errorf("died: %v, want b, no sooner than others have had their time", died)
	}
	if c.back != 1 {
		t.Errorf("returned %d times", c.back)
	}
}

// TestForgotten: links that leave, namespaces that are closed, and who answers though it is silent.
func TestForgotten(t *testing.T) {
	t.Parallel()
	c := newClock(t)
	c.pass(3*time.Second, false)
	for range 3 {
		if told := c.homes.Cover(); !slices.Equal(told, []string{"/"}) {
			t.Errorf("tells of itself in %q, want one that all have", told)
		}
	}
	c.homes.Left("/", "a")
	c.homes.Left("/", "somebody")
	c.in([]string{"b", "c"}, nil)
	if told := c.homes.Cover(); !slices.Contains(told, "/x") || !slices.Contains(told, "/") {
		t.Errorf("tells of itself in %q, want those in which all hear it", told)
	}
	c.homes.Answered("/", "c") // as all that are there do
	c.in([]string{"b", "c"}, nil)
	delete(c.beats, "C")
	c.beats["A"] = homes.Links{"/x": "ax"}
	c.pass(5*time.Second, false)
	c.in([]string{"b"}, []string{"c"})
	c.homes.Answered("/", "c")
	c.in([]string{"b"}, nil)
	c.homes.Closed("/")
	c.in(nil, nil)
	c.homes.Closed("/x")
	c.homes.Closed("/y")
	if told := c.homes.Cover(); len(told) > 0 {
		t.Errorf("tells of itself in %q, want nobody to know of it", told)
	}
}
