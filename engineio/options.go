package engineio

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/peal-dev/peal/admission"
)

// The names of the transports.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Defaults of Options.
const (
	DefaultPingInterval         = 25 * time.Second
	DefaultPingTimeout          = 20 * time.Second
	DefaultUpgradeTimeout       = 10 * time.Second
	DefaultBodyTimeout          = 30 * time.Second
	DefaultWriteTimeout         = 10 * time.Second
	DefaultMaxPayload           = 1_000_000
	DefaultHeaderLimit          = 4 << 10
	DefaultCompressionThreshold = 1024
	DefaultSendBuffer           = 1 << 20
	DefaultPollBuffer           = 8 << 20
)

// Options configures a Server. Its zero value, and nil, mean the defaults.
type Options struct {
	// PingInterval is how long after a pong the next ping is sent. Zero means 25 s.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a ping, or to send anything else, before its session is closed.
	// Zero means 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout bounds an upgrade from polling to WebSocket; the session stays on polling after it. Zero means 10 s.
	UpgradeTimeout time.Duration
	// Admission bounds how many sessions there may be; others are refused with 503, or with 429 for too many of one address.
	// Several doors may share one Gate. Nil means one of this Server's own with the default limits.
	Admission *admission.Gate
	// Pending has sessions count as pending with Admission until Session.Settle is called: for protocols whose clients open
	// a session before they say what for. Package socketio sets it.
	Pending bool
	// BodyTimeout is how long the body of a POST may take to arrive before its session is closed. It, and not an
	// http.Server's ReadTimeout, bounds bodies. Zero means 30 s.
	BodyTimeout time.Duration
	// WriteTimeout is how long the client of a poll may take to read 64 KiB of its answer before its session is closed. It
	// counts from when there is an answer, so that an http.Server's WriteTimeout does not cut polls that wait. When the
	// session ends, by its heartbeat too, so does the answer. Zero means 10 s.
	WriteTimeout time.Duration
	// MaxPayload is the length in bytes of the longest POST body and WebSocket message that is accepted. Clients are told.
	// Zero means 1,000,000.
	MaxPayload int
	// HeaderLimit is how many bytes a session keeps of the headers of the request that opened it, for Session.Handshake, and
	// how long that request's URL may be. Of longer headers, Cookie, Authorization and others that handlers are known to ask
	// for are kept first, each whole or not at all; what was left out is logged. AllowRequest sees all. Zero means 4 KiB.
	HeaderLimit int
	// Transports are the transports offered: Polling, WebSocket or both. None means both.
	Transports []string
	// DisableUpgrades offers no upgrade to clients that begin with polling.
	DisableUpgrades bool
	// AllowRequest is asked before a session is opened. An error refuses it with the error's text as the message. Nil
	// allows all.
	AllowRequest func(*http.Request) error
	// CORS says which web sites may connect. Nil allows the server's own origin only. Pages of others get no answer of
	// any transport.
	CORS *CORS
	// JSONP serves polling by script elements, for pages that are so old that they can do nothing else. Over plain HTTP
	// browsers do not always tell which site a script is asked for by, and CORS cannot keep its answer from that site.
	JSONP bool
	// Cookie, if not nil, is set on the answer to a handshake with the session's id as its value, for load balancers that
	// route by cookie. An empty Name means "io", an empty Path "/".
	Cookie *http.Cookie
	// CompressionThreshold is the length in bytes from which poll responses are compressed, if the client allows it and no
	// middleware has announced that it does that: by Content-Encoding, or by a Vary that names Accept-Encoding. Zero means
	// 1024, a negative value never.
	CompressionThreshold int
	// SendBuffer is how many bytes may wait for one client on WebSocket. A client for which more wait is a slow consumer: its
	// volatile messages are dropped first, then its session is closed. A message always fits if nothing else waits. Zero
	// means 1 MiB.
	SendBuffer int
	// PollBuffer is how many bytes may wait for one client on polling, where a message counts for 64 bytes more than its
	// length. It is another bound than SendBuffer because it means something else: between two polls everything waits,
	// however fast the client reads, so what is sent in that time must fit, and only more tells of a client that is too
	// slow. One that does not poll at all is found by its heartbeat. An answer takes 1 MiB of it. Zero means 8 MiB, or
	// SendBuffer if that is more.
	PollBuffer int
	// GenerateID makes session ids; they must be unguessable, for they are all a polling client authenticates with. Nil
	// means NewID.
	GenerateID func(*http.Request) (string, error)
	// Elsewhere is asked before a request is refused because no session here has its sid: true says that it has answered the
	// request, or taken its connection over. The request has passed CORS, and has no deadline for its answer. Package cluster
	// has one that asks the node on which the session lives. Nil knows no other place.
	Elsewhere func(w http.ResponseWriter, r *http.Request, sid string) bool
	// OnError is told of each refused request. It must not block. Nil has Logger told, at info and of each reason once a
	// minute.
	OnError func(*ConnectionError)
	// Goroutines drives WebSockets by goroutines also where an event poller could, for comparison and for tests.
	Goroutines bool
	// Logger receives what is worth knowing. Nil means slog.Default.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	out.PingInterval = cmp.Or(out.PingInterval, DefaultPingInterval)
	out.PingTimeout = cmp.Or(out.PingTimeout, DefaultPingTimeout)
	out.UpgradeTimeout = cmp.Or(out.UpgradeTimeout, DefaultUpgradeTimeout)
	out.BodyTimeout = cmp.Or(out.BodyTimeout, DefaultBodyTimeout)
	out.WriteTimeout = cmp.Or(out.WriteTimeout, DefaultWriteTimeout)
	out.MaxPayload = cmp.Or(out.MaxPayload, DefaultMaxPayload)
	out.HeaderLimit = cmp.Or(out.HeaderLimit, DefaultHeaderLimit)
	out.CompressionThreshold = cmp.Or(out.CompressionThreshold, DefaultCompressionThreshold)
	out.SendBuffer = cmp.Or(out.SendBuffer, DefaultSendBuffer)
	out.PollBuffer = cmp.Or(out.PollBuffer, max(DefaultPollBuffer, out.SendBuffer))
	if out.Admission == nil {
		out.Admission = admission.New(admission.Limits{})
	}
	if len(out.Transports) == 0 {
		out.Transports = []string{Polling, WebSocket}
	}
	if out.GenerateID == nil {
		out.GenerateID = func(*http.Request) (string, error) { return NewID(), nil }
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out
}

func (o *Options) allows(transport string) bool { return slices.Contains(o.Transports, transport) }

// upgrades returns the transports a session that begins with polling may move to.
func (o *Options) upgrades(transport string) []string {
	if transport != Polling || o.DisableUpgrades || !o.allows(WebSocket) {
		return []string{}
	}
	return []string{WebSocket}
}

// cookie returns the cookie for a session, or nil.
func (o *Options) cookie(sid string) *http.Cookie {
	if o.Cookie == nil {
		return nil
	}
	c := *o.Cookie
	c.Name = cmp.Or(c.Name, "io")
	c.Path = cmp.Or(c.Path, "/")
	c.Value = sid
	return &c
}
