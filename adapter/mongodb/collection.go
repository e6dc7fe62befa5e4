package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter/nodewire"
)

// createdAt is the member that a TTL index is on, as Node.js nodes write it.
const createdAt = "createdAt"

// Codes of errors of the server.
const (
	codeUnauthorized    = 13
	codeNamespaceExists = 48
)

// store is a collection and the connection to it.
type store struct {
	opts       Options // resolved
	client     *mongo.Client
	collection *mongo.Collection
	stamped    atomic.Bool // the documents are removed by their createdAt
	dialer     *dialer     // of the connections; nil if they are the program's
	// warn tells that something does not work as well as it should.
	warn func(cause, text string, attrs ...slog.Attr)
}

// connect returns a store that starts to connect.
func connect(opts Options) (*store, error) {
	clientOptions, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	s := &store{opts: opts, client: opts.Client}
	if s.client == nil {
		s.dialer = newDialer(opts.Timeout)
		clientOptions.SetDialer(s.dialer)
		if s.client, err = mongo.Connect(clientOptions); err != nil {
			return nil, fmt.Errorf("mongodb: %w", err)
		}
	}
	s.collection = s.client.Database(opts.Database).Collection(opts.Collection)
	s.stamped.Store(opts.TTL > 0)
	return s, nil
}

// close ends the connection if it is the store's own. It returns in about the Timeout.
func (s *store) close() error {
	if s.opts.Client != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	defer s.dialer.watcher.Close()
	if err := s.client.Disconnect(ctx); err != nil && !errors.Is(err, mongo.ErrClientDisconnected) {
		return fmt.Errorf("mongodb: disconnect: %w", err)
	}
	return nil
}

// document returns the document for a message.
func (s *store) document(m *nodewire.Message, x extra) (document, error) {
	if s.stamped.Load() {
		x.created = time.Now()
	}
	return newDocument(m, x)
}

// ensure makes the collection if it is not there, and learns whether its documents need a createdAt.
func (s *store) ensure(ctx context.Context) error {
	specifications, err := s.collection.Database().ListCollectionSpecifications(ctx, bson.D{{Key: "name", Value: s.opts.Collection}})
	switch {
	case hasCode(err, codeUnauthorized):
		// A user may be allowed to read and write, and no more. Somebody has seen to the rest.
		return nil
	case err != nil:
		return fmt.Errorf("mongodb: look for collection %s: %w", s.opts.Collection, err)
	case len(specifications) == 0:
		err = s.create(ctx)
		if hasCode(err, codeNamespaceExists) {
			return s.ensure(ctx) // another node was faster
		}
		return err
	}
	if capped, ok := specifications[0].Options.Lookup("capped").BooleanOK(); ok && capped {
		s.stamped.Store(false)
		return nil
	}
	s.stamped.Store(true)
	return s.index(ctx)
}

func (s *store) create(ctx context.Context) error {
	opts := options.CreateCollection()
	if s.opts.TTL == 0 {
		opts.SetCapped(true).SetSizeInBytes(s.opts.Size)
	}
	if err := s.collection.Database().CreateCollection(ctx, s.opts.Collection, opts); err != nil {
		return fmt.Errorf("mongodb: make collection %s: %w", s.opts.Collection, err)
	}
	s.stamped.Store(s.opts.TTL > 0)
	if s.opts.TTL == 0 {
		return nil
	}
	return s.index(ctx)
}

// index makes the index that removes old documents, if there is none. Without it the collection grows forever, but works.
func (s *store) index(ctx context.Context) error {
	specifications, err := s.collection.Indexes().ListSpecifications(ctx)
	if err != nil && !isAnswer(err) {
		return fmt.Errorf("mongodb: look for the indexes of %s: %w", s.opts.Collection, err)
	}
	for _, index := range specifications {
		if index.ExpireAfterSeconds != nil {
			return nil
		}
	}
	seconds := int32(min(math.Ceil(cmp.Or(s.opts.TTL, DefaultTTL).Seconds()), math.MaxInt32))
	_, err = s.collection.Indexes().CreateOne(ctx, mongo.IndexModel{
		Keys: bson.D{{Key: createdAt, Value: 1}}, Options: options.Index().SetExpireAfterSeconds(seconds)})
	switch {
	case err == nil:
		return nil
	case !isAnswer(err):
		return fmt.Errorf("mongodb: make the index of %s: %w", s.opts.Collection, err)
	}
	s.warn("index", "the collection has no TTL index and none can be made: nothing removes old messages",
		slog.String("collection", s.opts.Collection), slog.Duration("ttl", time.Duration(seconds)*time.Second), slog.Any("error", err))
	return nil
}

// isAnswer reports whether err is what a server has answered. That a connection was lost, or that the client has none just now, the
// library tells in the same type, but without a code.
func isAnswer(err error) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && !mongo.IsNetworkError(err) && slices.ContainsFunc(server.ErrorCodes(), func(code int) bool { return code != 0 })
}

func hasCode(err error, code int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && server.HasErrorCode(code)
}
