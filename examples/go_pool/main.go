// Pools TCP connections to an echo server that hangs up now and then. Goroutines ask through the pool, each question with
// a time of its own; what fails is asked again.
//
//	PKG_CONFIG_PATH=/usr/local/lib/pkgconfig go run .
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"ostler"
)

const goroutines, questions, size = 8, 500, 4

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal("go_pool: ", err)
	}
	return value
}

// echo hangs up after so many bytes, in the middle of an answer.
func echo(connection net.Conn) {
	defer connection.Close()
	_, _ = io.Copy(connection, io.LimitReader(connection, 3333))
}

// ask gives a connection back when it did what was asked of it, and else discards it, so that nobody gets a broken one.
func ask(ctx context.Context, pool *ostler.Pool[net.Conn], question string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	lease, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = lease.Discard()
		} else {
			err = lease.Release()
		}
	}()
	connection := lease.Value()
	deadline, _ := ctx.Deadline()
	_ = connection.SetDeadline(deadline) // where this or the write fails, the read does too
	_, _ = fmt.Fprintln(connection, question)
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err == nil && answer != question+"\n" {
		log.Fatalf("go_pool: %q is the answer to another question than %q", answer, question)
	}
	return err
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := must(net.Listen("tcp", "127.0.0.1:0"))
	go func() {
		for {
			go echo(must(server.Accept()))
		}
	}()

	pool := must(ostler.NewPool(ostler.PoolConfig[net.Conn]{
		Name: "echo", MinSize: size / 2, MaxSize: size, MaxLifetime: time.Minute,
		Create:  func() (net.Conn, error) { return net.DialTimeout("tcp", server.Addr().String(), 5*time.Second) },
		Destroy: func(connection net.Conn) { connection.Close() },
	}))
	var asking sync.WaitGroup
	for i := range goroutines {
		asking.Add(1)
		go func() {
			defer asking.Done()
			for j := range questions {
				question := fmt.Sprintf("how is horse %d of stable %d?", j, i)
				for err := ask(ctx, pool, question); err != nil; err = ask(ctx, pool, question) {
					if ctx.Err() != nil {
						log.Fatal("go_pool: ", err)
					}
				}
			}
		}()
	}
	asking.Wait()
	must(pool.Drain(ctx))
	stats := must(pool.Stats())
	if stats.Created != stats.Destroyed {
		log.Fatalf("go_pool: of %d connections only %d were ended", stats.Created, stats.Destroyed)
	}
	fmt.Printf("%d questions were answered, on %d connections, of which %d broke\n",
		goroutines*questions, stats.Created, stats.DestroyedDiscarded)
}
