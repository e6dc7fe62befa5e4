package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/adapter/internal/outbox"
	"github.com/peal-dev/peal/internal/service"
)

// duplicateKey is the code of the error that a document with that _id is there already.
const duplicateKey = 11000

// flush inserts a batch in its order, within timeout. What is not confirmed because a connection was lost is inserted
// again: under the same _id it is there once.
func flush(ctx context.Context, c *mongo.Collection, batch []*outbox.Item[document], timeout time.Duration) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, i := range batch {
		i.Value.setID(bson.NewObjectID())
	}
	pause := service.Backoff{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond}
	alone := 0 // how many are to be inserted one by one, to find the one that the server refuses
	for len(batch) > 0 {
		part := batch
		if alone > 0 {
			part = batch[:1]
		}
		done, err := insert(bounded, c, part)
		for _, i := range batch[:done] {
			i.Value = nil
		}
		batch, alone = batch[done:], max(alone-done, 0)
		switch {
		case err == nil:
		case bounded.Err() != nil || transient(err) && !service.Pause(bounded, pause.Next()):
			for _, i := range batch {
				i.Err = unavailable(ctx, err)
			}
			return
		case transient(err):
		case len(part)-done > 1:
			alone = len(part) - done
		default:
			batch[0].Err = fmt.Errorf("%w: mongodb: insert: %w", adapter.ErrUnsendable, err)
			batch, alone = batch[1:], max(alone-1, 0)
		}
	}
}

// insert inserts a batch and returns how many of its first are in.
func insert(ctx context.Context, c *mongo.Collection, batch []*outbox.Item[document]) (done int, err error) {
	if len(batch) == 1 {
		_, err = c.InsertOne(ctx, bson.Raw(batch[0].Value))
	} else {
		docs := make([]bson.Raw, len(batch))
		for i := range batch {
			docs[i] = bson.Raw(batch[i].Value)
		}
		_, err = c.InsertMany(ctx, docs, options.InsertMany().SetOrdered(true))
	}
	var (
		one  mongo.WriteException
		many mongo.BulkWriteException
	)
	switch {
	case err == nil:
		return len(batch), nil
	case errors.As(err, &one) && len(one.WriteErrors) > 0:
		done, err = 0, one.WriteErrors[0]
	case errors.As(err, &many) && len(many.WriteErrors) > 0:
		done, err = many.WriteErrors[0].Index, many.WriteErrors[0].WriteError
	default:
		return 0, err
	}
	var refused mongo.WriteError
	if errors.As(err, &refused) && refused.Code == duplicateKey { // it got there before the connection was lost
		if last := batch[len(batch)-1].Value; is(ctx, c, last) {
			return len(batch), nil // and then all did, as they do in their order
		}
		return done + 1, nil
	}
	return done, err
}

// is reports whether a document is known to be in the collection.
func is(ctx context.Context, c *mongo.Collection, d document) bool {
	id, ok := bson.Raw(d).Lookup("_id").ObjectIDOK()
	return ok && c.FindOne(ctx, bson.D{{Key: "_id", Value: id}}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err() == nil
}

// transient reports whether the same may go well if it is tried again. Of what a server answers that is what it says itself, and
// that the majority of a replica set has not confirmed a document in time: it may be rolled back.
func transient(err error) bool {
	var server mongo.ServerError
	return !isAnswer(err) || mongo.IsTimeout(err) || isWriteConcernError(err) ||
		errors.As(err, &server) && server.HasErrorLabel("RetryableWriteError")
}

func isWriteConcernError(err error) bool {
	var (
		one  mongo.WriteException
		many mongo.BulkWriteException
	)
	return errors.As(err, &one) && one.WriteConcernError != nil || errors.As(err, &many) && many.WriteConcernError != nil
}

func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return adapter.ErrClosed
	}
	// Not wrapped: a deadline in it is the driver's own and none of the caller's context.
	return fmt.Errorf("%w: mongodb: insert: %v", adapter.ErrUnavailable, err)
}
