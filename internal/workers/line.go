package workers

import "sync"

// Line runs tasks of one kind one after the other, in the order they came, on a goroutine of a Pool that it has while there
// are any. A task may block: whoever asks for one never does. Its zero value is ready to use but for its Pool. It is safe
// for concurrent use; a task may ask for another.
type Line struct {
	Pool *Pool

	mu      sync.Mutex
	tasks   []Task
	running bool
}

// Run runs t after the tasks that came before it.
func (l *Line) Run(t Task) {
	l.mu.Lock()
	l.tasks = append(l.tasks, t)
	start := !l.running
	l.running = true
	l.mu.Unlock()
	if start {
		l.Pool.Run((*line)(l))
	}
}

// line is a Line as a task of its Pool.
type line Line

func (l *line) Run() {
	var batch []Task
	for {
		l.mu.Lock()
		batch, l.tasks = l.tasks, batch[:0]
		l.running = len(batch) > 0
		if !l.running {
			l.tasks = nil
		}
		l.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for i, t := range batch {
			batch[i] = nil
			t.Run()
		}
	}
}
