package mongodb

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The defaults of [Options].
const (
	DefaultDatabase   = "peal"
	DefaultCollection = "socket.io-adapter-events"
	DefaultSize       = 64 << 20
	DefaultTTL        = time.Hour
	DefaultTimeout    = 3 * time.Second
	DefaultQueueSize  = 4096
)

// Options configure a [Driver].
type Options struct {
	// URL says where MongoDB is: mongodb://[user:password@]host[:port],…/[database][?options], or mongodb+srv:// for a name
	// that DNS knows. ?collection=name says which collection if Collection does not; all other options are MongoDB's.
	// Required unless there is a Client.
	URL string
	// Client is a connection of the program's own, which is used instead of one to URL and is not closed. That one of its
	// connections is dead and does not say so is found some seconds later than of the driver's own.
	Client *mongo.Client
	// Username and Password, if set, take the place of those in URL.
	Username, Password string
	// TLS is how the server is spoken to: by which authorities it is known, by which certificate it knows this node. Nil
	// means what URL says. It is copied.
	TLS *tls.Config
	// Database and Collection have to be the same on all nodes. "" means what URL says, and else DefaultDatabase and
	// DefaultCollection.
	Database, Collection string
	// Size is how many bytes a collection has that is not there and is made: a capped one. Messages do not wait in it but in
	// the server's oplog, so it may be small; but it has to hold the largest message. 0 means DefaultSize, 64 MiB.
	Size int64
	// TTL, if set, has the collection that is made be one whose documents are removed after so long, instead of a capped
	// one: for servers and users that may not have those. A collection that is there, is not capped and has no TTL index
	// on createdAt gets one of TTL, or of DefaultTTL, an hour.
	TTL time.Duration
	// Timeout bounds making a connection and waiting for an answer of MongoDB. 0 means DefaultTimeout, 3 s.
	Timeout time.Duration
	// QueueSize is how many messages may wait to be inserted. 0 means DefaultQueueSize.
	QueueSize int
	// InboxSize is how many messages may wait in each namespace until this node handles them, and InboxBytes how many bytes.
	// While there is no room, nothing more is read for any namespace: MongoDB keeps it. 0 means 65,536 and 64 MiB.
	InboxSize, InboxBytes int
	// HeartbeatInterval is after how much silence a node says that it is there, HeartbeatTimeout after how much others take
	// it for gone. 0 means 5 s and 10 s, as on Node.js nodes.
	HeartbeatInterval, HeartbeatTimeout time.Duration
	// OnState is called when the change stream is there (true) and when it is lost or cannot be opened (false, with the
	// cause). It must not block. It may be nil.
	OnState func(connected bool, err error)
	// MaxAttachments is how many binary values a message of another node may have; one with more is ignored, because
	// official clients would close their connection. 0 means message.DefaultMaxAttachments, 10. Where clients take more,
	// set it to what [socketio.Options] say.
	MaxAttachments int
	// Logger is told when the stream is lost and when it is back. Nil means slog.Default.
	Logger *slog.Logger
}

// Validate returns what is wrong with the options. It connects to nothing; [New] calls it too.
func (o *Options) Validate() error {
	resolved := *o
	_, err := resolved.resolve()
	return err
}

// resolve puts the defaults in, and what URL says, and returns the options of the client, nil if there is one already.
func (o *Options) resolve() (*options.ClientOptions, error) {
	if o.Size < 0 || o.TTL < 0 {
		return nil, errors.New("mongodb: a negative Size or TTL")
	}
	o.Size = cmp.Or(o.Size, DefaultSize)
	o.Timeout = cmp.Or(max(o.Timeout, 0), DefaultTimeout)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var client *options.ClientOptions
	if o.Client == nil {
		var err error
		if client, err = o.parseURL(); err != nil {
			return nil, err
		}
	}
	o.Database = cmp.Or(o.Database, DefaultDatabase)
	o.Collection = cmp.Or(o.Collection, DefaultCollection)
	return client, nil
}

// parseURL takes from URL what is ours. Errors do not repeat the URL, which may hold a password.
func (o *Options) parseURL() (*options.ClientOptions, error) {
	if o.URL == "" {
		return nil, errors.New("mongodb: no URL")
	}
	// Not url.Parse: there may be several hosts.
	scheme, rest, _ := strings.Cut(o.URL, "://")
	if scheme != "mongodb" && scheme != "mongodb+srv" {
		return nil, errors.New("mongodb: URL has to begin with mongodb:// or mongodb+srv://")
	}
	rest, text, _ := strings.Cut(rest, "?")
	query, err := url.ParseQuery(text)
	if err != nil {
		return nil, errors.New("mongodb: URL has malformed options")
	}
	if _, path, ok := strings.Cut(rest[strings.LastIndexByte(rest, '@')+1:], "/"); ok && path != "" && o.Database == "" {
		if o.Database, err = url.PathUnescape(path); err != nil {
			return nil, errors.New("mongodb: URL has a malformed database")
		}
	}
	o.Collection = cmp.Or(o.Collection, query.Get("collection"))
	if query.Has("collection") {
		query.Del("collection")
		if text = query.Encode(); !strings.Contains(rest[strings.LastIndexByte(rest, '@')+1:], "/") {
			rest += "/"
		}
	}
	uri := scheme + "://" + rest
	if text != "" {
		uri += "?" + text
	}
	client := options.Client().ApplyURI(uri)
	client.SetConnectTimeout(o.Timeout).SetServerSelectionTimeout(o.Timeout)
	// Not by requests that the server holds open: a connection on which nothing comes is taken for dead.
	client.SetServerMonitoringMode(options.ServerMonitoringModePoll)
	if client.AppName == nil {
		client.SetAppName("peal")
	}
	if o.Username != "" || o.Password != "" {
		var credential options.Credential
		if client.Auth != nil {
			credential = *client.Auth
		}
		credential.Username = cmp.Or(o.Username, credential.Username)
		if o.Password != "" {
			credential.Password, credential.PasswordSet = o.Password, true
		}
		client.SetAuth(credential)
	}
	if o.TLS != nil {
		client.SetTLSConfig(o.TLS.Clone())
	}
	if err := client.Validate(); err != nil {
		return nil, fmt.Errorf("mongodb: URL: %w", err)
	}
	return client, nil
}
