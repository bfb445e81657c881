package ostler

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// LogLevel is how much a line of the log matters. A level takes in all the levels above it.
type LogLevel uint32

const (
	LogError LogLevel = C.OSTLER_LOG_ERROR
	LogWarn  LogLevel = C.OSTLER_LOG_WARN
	LogInfo  LogLevel = C.OSTLER_LOG_INFO
	LogDebug LogLevel = C.OSTLER_LOG_DEBUG
)

func (l LogLevel) String() string {
	switch l {
	case LogError:
		return "error"
	case LogWarn:
		return "warn"
	case LogInfo:
		return "info"
	case LogDebug:
		return "debug"
	}
	return "unknown"
}

// logger is where the lines go now.
type logger struct {
	maxLevel LogLevel
	write    func(level LogLevel, message string)
	pipe     *os.File
	drained  chan struct{}
}

var (
	settingLog sync.Mutex
	currentLog atomic.Pointer[logger]
)

// SetLog sends the lines of the library up to maxLevel to write, and those of this package: a panic in a callback that
// has no other way to be told. With nil the library is silent, as it is at first. The lines of the library come one
// after the other on a goroutine of their own, a moment late; lines that come too fast are lost. When SetLog returns,
// the function set before is no longer called by the library; it must not call SetLog itself.
func SetLog(maxLevel LogLevel, write func(level LogLevel, message string)) error {
	settingLog.Lock()
	defer settingLog.Unlock()
	if before := currentLog.Load(); before != nil {
		if err := failure(C.ostler_go_log_off()); err != nil {
			return err
		}
		currentLog.Store(nil)
		before.pipe.Close()
		<-before.drained
	}
	if write == nil {
		return nil
	}
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	log := &logger{maxLevel: maxLevel, write: write, pipe: to, drained: make(chan struct{})}
	if err := log.listen(from); err != nil {
		return errors.Join(err, from.Close(), to.Close())
	}
	currentLog.Store(log)
	return nil
}

func (l *logger) listen(from *os.File) error {
	connection, err := l.pipe.SyscallConn()
	if err != nil {
		return err
	}
	// Control and not Fd: Fd would make the pipe blocking, and a slow reader would hold up the library.
	var refused error
	if err := connection.Control(func(descriptor uintptr) {
		refused = failure(C.ostler_go_log_to_pipe(C.uint32_t(l.maxLevel), C.int(descriptor)))
	}); err != nil {
		return err
	}
	if refused == nil {
		go l.drain(from)
	}
	return refused
}

// drain hands the lines on until the other end of the pipe is closed.
func (l *logger) drain(from *os.File) {
	defer close(l.drained)
	defer from.Close()
	var head [8]byte
	for {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		text := make([]byte, binary.NativeEndian.Uint32(head[4:]))
		if _, err := io.ReadFull(from, text); err != nil {
			return
		}
		l.say(LogLevel(binary.NativeEndian.Uint32(head[:])), string(text))
	}
}

func (l *logger) say(level LogLevel, message string) {
	// A log that panics has nobody left to tell.
	_ = guarded(func() error {
		l.write(level, message)
		return nil
	})
}

func logLine(level LogLevel, message string) {
	if log := currentLog.Load(); log != nil && level <= log.maxLevel {
		log.say(level, message)
	}
}
