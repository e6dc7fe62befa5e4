package reception

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/nodewire"
	"github.com/peal-dev/peal/internal/lograte"
	"github.com/peal-dev/peal/internal/tally"
)

// Options configure a [Monitor].
type Options struct {
	// Driver is the name of the driver's package, with which the lines of its log begin.
	Driver string
	// Broker is the name of what it receives from, such as "Redis".
	Broker string
	// Resumes says that the broker keeps what is published while the connection is away, and goes on where it was: it is no
	// gap then that a connection is made again, or that a probe is late. What is missing all the same, the driver begins.
	Resumes bool
	// OnState is called when the connection that receives is there and when it is not. It may be nil.
	OnState func(connected bool, err error)
	// Logger is told of it. Nil means slog.Default.
	Logger *slog.Logger
}

// Monitor knows what reaches a driver and what may not have. It is safe for concurrent use.
type Monitor struct {
	opts  Options
	often *lograte.Logger // for what may happen with every message
	gaps  gaps

	// Received, Dropped, Unanswered and Late are those of [adapter.DriverStats]. The inboxes count Dropped.
	Received, Dropped, Unanswered, Late atomic.Uint64

	connected  atomic.Bool
	reconnects atomic.Uint64
	malformed  tally.Tally
	proven     atomic.Int64 // what was published before, in Unix nanoseconds, was received, or is a gap that was told
	lost       atomic.Uint64
	absence    absence
}

// absence is the time without the connection that receives. It belongs to the caller of State.
type absence struct {
	ever bool // the connection was there before
	from time.Time
	gap  *adapter.Gap // once an attempt to connect has failed
}

// New returns a monitor of a driver that is not connected yet. Close it when the driver is closed.
func New(opts Options) *Monitor {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m := &Monitor{opts: opts, often: lograte.New(opts.Logger, lograte.Every)}
	m.gaps.tell = m.tell
	return m
}

// Close writes what was not told yet.
func (m *Monitor) Close() { m.often.Close() }

// Log writes a line of the log, of which there is one a minute for each cause; see [lograte.Logger].
func (m *Monitor) Log(level slog.Level, cause, text string, attrs ...slog.Attr) {
	m.often.Log(context.Background(), level, cause, m.opts.Driver+": "+text, attrs...)
}

func (m *Monitor) tell(cause, text string, attrs ...slog.Attr) {
	m.Log(slog.LevelWarn, cause, text, attrs...)
}

// State is told that the connection that receives is there, and everything subscribed to again, or that it is not. Calls
// must not overlap. That a connection is lost and made again is a gap, unless the broker resumes.
func (m *Monitor) State(up bool, err error) {
	was := m.connected.Swap(up)
	log, now, a := m.opts.Logger, time.Now(), &m.absence
	switch {
	case up:
		if a.ever {
			m.reconnects.Add(1)
			log.Info(m.opts.Driver + ": connected to " + m.opts.Broker + " again")
			if a.gap == nil && !m.opts.Resumes {
				a.gap = m.gaps.begin(adapter.Gap{Cause: adapter.GapKilled, From: a.from})
			}
			if a.gap != nil {
				m.gaps.end(a.gap, now, 0)
			}
		}
		*a = absence{ever: true}
		m.proven.Store(now.UnixNano())
	case was:
		log.Warn(m.opts.Driver+": connection to "+m.opts.Broker+" lost", "error", err)
		a.from = time.Unix(0, m.proven.Load())
	default:
		log.Debug(m.opts.Driver+": no connection to "+m.opts.Broker, "error", err)
		if a.ever && a.gap == nil && !m.opts.Resumes {
			a.gap = m.gaps.begin(adapter.Gap{Cause: adapter.GapReconnect, From: a.from})
		}
	}
	if m.opts.OnState != nil {
		m.opts.OnState(up, err)
	}
}

// Connected reports whether the connection that receives is there now.
func (m *Monitor) Connected() bool { return m.connected.Load() }

// Reconnects returns how often it was made again.
func (m *Monitor) Reconnects() uint64 { return m.reconnects.Load() }

// Proven returns the time before which everything published has come, as far as is known.
func (m *Monitor) Proven() time.Time { return time.Unix(0, m.proven.Load()) }

// Prove notes that what was published before at has come, where a broker sends one connection everything in order.
func (m *Monitor) Prove(at time.Time) {
	for now := at.UnixNano(); ; {
		before := m.proven.Load()
		if before >= now || m.proven.CompareAndSwap(before, now) {
			return
		}
	}
}

// Begin counts a gap that State and inboxes do not see, and returns it for End.
func (m *Monitor) Begin(gap adapter.Gap) *adapter.Gap { return m.gaps.begin(gap) }

// End tells that a gap is over.
func (m *Monitor) End(gap *adapter.Gap, to time.Time) { m.gaps.end(gap, to, gap.Dropped) }

// Lost counts a gap of so many messages, which were published since then and have not come.
func (m *Monitor) Lost(namespace string, since time.Time, n uint64) {
	m.Missed(adapter.Gap{Cause: adapter.GapLost, Namespace: namespace, From: since}, n)
}

// Missed counts a gap that is over, in which so many messages are known to be missing.
func (m *Monitor) Missed(gap adapter.Gap, n uint64) {
	m.lost.Add(n)
	m.gaps.end(m.gaps.begin(gap), time.Now(), n)
}

// Ignored counts a message that is not what it should be, and says so.
func (m *Monitor) Ignored(channel string, err error) {
	reason := nodewire.Malformation(err)
	m.malformed.Add(reason)
	m.tell("malformed: "+reason, "a message from "+m.opts.Broker+" was ignored",
		slog.String("reason", reason), slog.String("channel", channel), slog.Any("error", err))
}

// Stats returns the counters, without those that links and connections have: Waiting and Refused, and the late answers of
// links that are open.
func (m *Monitor) Stats() adapter.DriverStats {
	s := adapter.DriverStats{
		Connected:  m.connected.Load(),
		Reconnects: m.reconnects.Load(),
		Received:   m.Received.Load(),
		Dropped:    m.Dropped.Load(),
		Unanswered: m.Unanswered.Load(),
		Late:       m.Late.Load(),
		Lost:       m.lost.Load(),
		Malformed:  m.malformed.Counts(),
	}
	s.Gaps, s.LastGap = m.gaps.stats()
	return s
}
