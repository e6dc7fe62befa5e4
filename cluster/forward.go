package cluster

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Forward passes a request for a session of another node on to that one, and reports whether it was answered: if not, the
// session is not known in the cluster. It serves as engineio.Options.Elsewhere. What a peer has passed on is not passed on
// again. The policy about pages has been held to when it is called, so the other node is not told of the page.
func (n *Node) Forward(w http.ResponseWriter, r *http.Request, sid string) bool {
	id, ok := ownerOf(sid)
	if !ok || id == n.id || isForwarded(r) || !n.serving.Enter() {
		return false
	}
	defer n.serving.Leave()
	outcome, err := n.forward(w, r, id)
	n.outcomes.Add(string(outcome))
	if outcome == Failed {
		n.often.Log(r.Context(), slog.LevelWarn, "failed", "cluster: the node of a session did not answer as it should",
			slog.String("node", id), slog.Any("error", err))
	}
	return outcome.answered()
}

func (o Outcome) answered() bool { return o != Unknown && o != Refused && o != Failed }

func (n *Node) forward(w http.ResponseWriter, r *http.Request, id string) (Outcome, error) {
	ctx, isUpgrade := r.Context(), strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	if isUpgrade {
		ctx = context.WithoutCancel(ctx) // to ask for its end would have net/http read the connection
	}
	p := n.owner(ctx, id)
	switch {
	case p == nil || p.address == "":
		return Unknown, nil
	case n.opts.TLS != nil && !p.secure():
		return Failed, errPlain
	case isUpgrade:
		return n.upgrade(ctx, w, r, p)
	}
	return n.ask(ctx, w, r, p)
}

// ask passes a plain request on. It may wait for as long as a poll may: until the client leaves, or the peer is lost.
func (n *Node) ask(ctx context.Context, w http.ResponseWriter, r *http.Request, p *peer) (Outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, ok := n.peers.begin(p, cancel)
	if !ok {
		return Unknown, nil
	}
	defer n.peers.land(p, f)
	out := outgoing(r, p).WithContext(ctx)
	defer out.Body.Close() // it is not read when the handler has returned
	res, err := n.transport.RoundTrip(out)
	switch {
	case r.Context().Err() != nil:
		if err == nil {
			_ = res.Body.Close()
		}
		return ClientGone, nil
	case err != nil:
		return unanswered(err)
	}
	defer res.Body.Close()
	if res.Header.Get(nodeHeader) != p.id {
		return Failed, errStranger
	}
	n.answer(ctx, w, res)
	return Answered, nil
}

// errStranger says that the address of a node is somebody else's now.
var errStranger = errors.New("cluster: what answers at the address of the node is not that node")

// errPlain says that a node cannot be reached in the way that this one insists on.
var errPlain = errors.New("cluster: the node has told of an address without TLS, and this one speaks TLS only")

// unanswered says what a failed request was. A peer that refuses connections has ended.
func unanswered(err error) (Outcome, error) {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return Refused, err
	}
	return Failed, err
}

// hopByHop are the headers that concern one connection only.
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade"}

// pages are the headers by which a browser tells of the page, which was judged here.
var pages = []string{"Origin", "Sec-Fetch-Site", "Access-Control-Request-Method", "Access-Control-Request-Headers"}

// noBody is the body of a request without one. Unlike with http.NoBody, the transport does not send such a request twice: a
// poll whose answer is lost has taken messages along.
type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }
func (noBody) Close() error             { return nil }

// outgoing makes the request that asks a peer what a client has asked.
func outgoing(r *http.Request, p *peer) *http.Request {
	out := &http.Request{Method: r.Method, Host: r.Host, Header: endToEnd(r.Header), Body: r.Body, ContentLength: r.ContentLength,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL: &url.URL{Scheme: "http", Host: p.hostPort(), Opaque: r.RequestURI}} // byte for byte, for it is signed
	if p.secure() {
		out.URL.Scheme = "https"
	}
	if r.ContentLength == 0 {
		out.Body = noBody{}
	}
	for _, name := range pages {
		out.Header.Del(name)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // else the transport names itself
	}
	out.Header.Set(forwardedHeader, sign(p.key, r, r.RemoteAddr)+" "+r.RemoteAddr)
	return out
}

// endToEnd returns the headers that are passed on.
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		out.Del(name)
	}
	return out
}

// merge adds the headers of a peer's answer to those that were set here, such as those for the page.
func merge(h, answer http.Header) {
	for name, values := range endToEnd(answer) {
		switch {
		case name == nodeHeader:
		case name == "Vary":
			for _, v := range values {
				if !slices.Contains(h[name], v) {
					h[name] = append(h[name], v)
				}
			}
		default:
			h[name] = values
		}
	}
}

// chunk is how much of an answer is written under one deadline.
const chunk = 32 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// longAgo is a deadline that ends what goes on.
var longAgo = time.Unix(1, 0)

// answer passes a peer's answer on, for as long as ctx lasts: what waits for a client that does not read ends with it.
func (n *Node) answer(ctx context.Context, w http.ResponseWriter, res *http.Response) {
	merge(w.Header(), res.Header)
	control, cut := http.NewResponseController(w), make(chan struct{})
	extend := func() {
		_ = control.SetWriteDeadline(time.Now().Add(n.opts.WriteTimeout)) // a writer without is a test's
		if ctx.Err() != nil {
			_ = control.SetWriteDeadline(longAgo)
		}
	}
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = control.SetWriteDeadline(longAgo)
	})
	defer func() {
		if !stop() {
			<-cut // it is not to meet the next request of the connection
		}
	}()
	extend()
	w.WriteHeader(res.StatusCode)
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	for {
		read, err := res.Body.Read(buf[:])
		extend()
		if _, werr := w.Write(buf[:read]); werr != nil {
			return // the client has gone, which its heartbeat tells
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			panic(http.ErrAbortHandler) // else the client would take the half for the whole
		}
	}
}
