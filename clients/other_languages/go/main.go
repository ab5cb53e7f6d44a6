// Watches a SKU, holds two units of it, and confirms them: `agent HOST:PORT SKU`.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "inventory.example/agent/inventoryv1"
)

// change gives a call a deadline, and a key that every attempt of it would share.
func change(parent context.Context) (context.Context, context.CancelFunc) {
	withKey := metadata.AppendToOutgoingContext(parent, "idempotency-key", rand.Text())
	return context.WithTimeout(withKey, 5*time.Second)
}

func sell(parent context.Context, holds pb.HoldServiceClient, sku string) error {
	ctx, cancel := change(parent)
	defer cancel()
	placed, err := holds.PlaceHold(ctx, &pb.PlaceHoldRequest{
		Lines:     []*pb.Line{{Sku: sku, Location: "online", Quantity: 2}},
		Reference: "go",
	})
	if err != nil {
		return err
	}
	ctx, cancel = change(parent)
	defer cancel()
	_, err = holds.ConfirmHold(ctx, &pb.ConfirmHoldRequest{HoldId: placed.Hold.HoldId})
	return err
}

func run(address, sku string) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	// Leaving ends the watch too: a stream that nobody cancels goes on.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	watch, err := pb.NewStockServiceClient(connection).WatchStock(ctx, &pb.WatchStockRequest{Skus: []string{sku}})
	if err != nil {
		return err
	}
	if _, err = watch.Recv(); err != nil { // a heartbeat: from here on nothing is missed
		return err
	}
	if err = sell(ctx, pb.NewHoldServiceClient(connection), sku); err != nil {
		return err
	}
	for seen := 0; seen < 2; {
		message, err := watch.Recv()
		if err != nil {
			return err
		}
		if movement := message.GetMovement(); movement != nil {
			fmt.Println(movement.Kind)
			seen++
		}
	}
	return nil
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
