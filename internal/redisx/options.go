package redisx

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/redis/rueidis"
)

// DefaultTimeout is the default of [Options].Timeout.
const DefaultTimeout = 3 * time.Second

// Options say how to reach Redis.
type Options struct {
	// URL is redis://[user:password@]host[:port][/db], rediss:// for TLS, or unix:///path/to.sock. With
	// ?master_set=name it names a Sentinel, and further &addr=host:port more of them. Of a Redis Cluster any node will
	// do: it passes on what is published.
	URL string
	// Username and Password are of Redis' access control list. What is set takes the place of what URL says.
	Username, Password string
	// Credentials is asked who the client is each time a connection is made, instead of Username, Password and what URL
	// says, for passwords that change. It is told to end after Timeout.
	Credentials func(ctx context.Context) (username, password string, err error)
	// Dial makes the connections instead of a net.Dialer, such as through a proxy. What URL says of TLS is done on top. It is
	// told to end after Timeout.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is how a server of rediss:// is spoken to, such as by which authorities it is known and by which certificate
	// it knows its clients. Without a ServerName it is the host of URL. Nil means what URL says. It is copied.
	TLS *tls.Config
	// Timeout bounds making a connection, and waiting for an answer. 0 means DefaultTimeout.
	Timeout time.Duration

	cluster bool   // several addresses are servers of a cluster
	address string // of the server to speak to, instead of those of URL
}

// Validate returns what is wrong with o. It does not repeat the URL, which may hold a password, and connects to nothing.
func (o Options) Validate() error {
	_, err := o.clientOption(nil)
	return err
}

// keepAlive is after how much silence a connection is probed. One that does not answer for Timeout is given up, and one that
// does not although others are answered is before that: see package rival.
const keepAlive = 500 * time.Millisecond

// suspicion is after how much silence a connection has a rival.
const suspicion = 500 * time.Millisecond

// bufferSize is a connection's read and write buffer each. The library's default is half a megabyte.
const bufferSize = 64 << 10

// clientOption turns o into the library's options, for a client that lives until closed is closed. Errors do not repeat the URL,
// which may hold a password.
func (o *Options) clientOption(closed <-chan struct{}) (rueidis.ClientOption, error) {
	if o.URL == "" {
		return rueidis.ClientOption{}, errors.New("redis: no URL; want redis://host:port")
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return rueidis.ClientOption{}, fmt.Errorf("redis: malformed URL: %w", err)
	}
	switch u.Scheme {
	case "redis", "rediss":
		if u.Hostname() == "" {
			return rueidis.ClientOption{}, errors.New("redis: URL without host; want redis://host:port")
		}
	case "unix":
		if u.Path == "" {
			return rueidis.ClientOption{}, errors.New("redis: URL without path; want unix:///path/to.sock")
		}
	case "":
		return rueidis.ClientOption{}, errors.New("redis: URL without scheme; want redis://host:port")
	default:
		return rueidis.ClientOption{}, fmt.Errorf("redis: URL scheme %q; want redis, rediss or unix", u.Scheme)
	}
	opt, err := rueidis.ParseURL(o.URL)
	if err != nil {
		return rueidis.ClientOption{}, err
	}
	if o.address != "" {
		opt.InitAddress = []string{o.address}
	}
	if opt.Sentinel.MasterSet == "" && len(opt.InitAddress) > 1 && !o.cluster {
		return rueidis.ClientOption{}, errors.New("redis: URL with several addresses but without master_set")
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.TLS != nil {
		if opt.TLSConfig == nil {
			return rueidis.ClientOption{}, errors.New("redis: options for TLS and a URL without; want rediss://host:port")
		}
		config := o.TLS.Clone()
		config.ServerName = cmp.Or(config.ServerName, opt.TLSConfig.ServerName)
		opt.TLSConfig = config
	}
	network := "tcp"
	if u.Scheme == "unix" {
		network = "unix"
	}
	opt.DialCtxFn = o.dialer(network, closed)
	if o.Credentials != nil {
		if o.Username != "" || o.Password != "" {
			return rueidis.ClientOption{}, errors.New("redis: both Credentials and a Username or Password; set one of the two")
		}
		opt.AuthCredentialsFn = o.credentials(closed)
	}
	opt.Username, opt.Password = cmp.Or(o.Username, opt.Username), cmp.Or(o.Password, opt.Password)
	opt.Dialer.Timeout = o.Timeout
	opt.Dialer.KeepAlive = keepAlive
	opt.ConnWriteTimeout = o.Timeout
	opt.Sentinel.Dialer = opt.Dialer
	opt.Sentinel.TLSConfig = opt.TLSConfig
	opt.Sentinel.TopologyRefreshInterval = 5 * time.Second
	opt.ReadBufferEachConn = bufferSize
	opt.WriteBufferEachConn = bufferSize
	if opt.ClientName == "" {
		opt.ClientName = "peal"
	}
	// No guessing whether it is a cluster: pub/sub works through any node, and a client is made even while Redis is away.
	opt.ForceSingleClient = opt.Sentinel.MasterSet == ""
	// 0 would mean several connections, and with them no order.
	opt.PipelineMultiplex = -1
	// Else nobody reads while nothing is published, and the first publish after Redis was restarted finds out and is lost.
	opt.AlwaysPipelining = true
	opt.DisableCache = true
	// The caller decides whether to say it twice.
	opt.DisableRetry = true
	return opt, nil
}

// dialer returns the library's dial function. It gives up when closed is.
func (o *Options) dialer(network string, closed <-chan struct{}) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, addr string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		ctx, cancel := o.bounded(ctx, closed)
		defer cancel()
		dial := o.Dial
		if dial == nil {
			dial = d.DialContext
		}
		conn, err := dial(ctx, network, addr)
		if err != nil || config == nil {
			return conn, err
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// credentials returns the function by which the library learns who it is on a new connection.
func (o *Options) credentials(closed <-chan struct{}) func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
	return func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
		ctx, cancel := o.bounded(context.Background(), closed)
		defer cancel()
		username, password, err := o.Credentials(ctx)
		if err != nil {
			return rueidis.AuthCredentials{}, fmt.Errorf("credentials: %w", err)
		}
		return rueidis.AuthCredentials{Username: username, Password: password}, nil
	}
}

// bounded returns ctx that ends when closed is closed too, and after Timeout.
func (o *Options) bounded(ctx context.Context, closed <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	go func() {
		select {
		case <-closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
