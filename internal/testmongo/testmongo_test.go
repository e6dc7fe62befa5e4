package testmongo_test

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/testmongo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a server that runs may take.
const patience = 30 * time.Second

// connect returns a collection of the server, for as long as the test runs.
func connect(t *testing.T, url string) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client.Database("test").Collection("c")
}

// insert reports whether the server takes a document in time.
func insert(t *testing.T, c *mongo.Collection, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := c.InsertOne(ctx, bson.D{{Key: "a", Value: 1}})
	return err
}

// TestStopAndRestart finds what was written, and the place of a change stream, again.
func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	s := testmongo.Start(t, testmongo.Durable)
	c := connect(t, s.URL())
	stream, err := c.Watch(t.Context(), mongo.Pipeline{})
	if err != nil {
		t.Fatal(err)
	}
	for i, stop := range []func(){s.Stop, s.Shutdown} {
		if err := insert(t, c, patience); err != nil {
			t.Fatal(err)
		}
		if !stream.Next(t.Context()) {
			t.Fatal(stream.Err())
		}
		place := stream.ResumeToken()
		if err := insert(t, c, patience); err != nil {
			t.Fatal(err)
		}
		_ = stream.Close(t.Context())
		stop()
		stop()
		if err := insert(t, c, time.Second); err == nil {
			t.Error("a stopped server takes a document")
		}
		s.Restart()
		if n, err := c.CountDocuments(t.Context(), bson.D{}); err != nil || n != int64(2*i+2) {
			t.Errorf("%d documents after restart %d, %v", n, i, err)
		}
		if stream, err = c.Watch(t.Context(), mongo.Pipeline{}, options.ChangeStream().SetResumeAfter(place)); err != nil {
			t.Fatal(err)
		}
		if !stream.Next(t.Context()) {
			t.Errorf("what was inserted before the stop is not in the stream that goes on: %v", stream.Err())
		}
	}
	_ = stream.Close(t.Context())
}

func TestPause(t *testing.T) {
	t.Parallel()
	a, b := testmongo.Start(t), testmongo.Start(t)
	if a.Addr() == b.Addr() {
		t.Fatalf("two servers at %s", a.Addr())
	}
	inA, inB := connect(t, a.URL()), connect(t, b.URL())
	if err := insert(t, inA, patience); err != nil {
		t.Fatal(err)
	}
	a.Pause()
	if err := insert(t, inB, patience); err != nil {
		t.Errorf("beside a paused server: %v", err)
	}
	if err := insert(t, inA, time.Second); err == nil {
		t.Error("a paused server answers")
	}
	a.Resume()
	if err := insert(t, inA, patience); err != nil {
		t.Errorf("a resumed server: %v", err)
	}
}
