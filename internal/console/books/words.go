package books

import (
	"context"
	_ "embed"

	"parley/internal/httpx/words"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("books", wordsFile)

// say gives this room's sentence for key in the reader's language.
func say(ctx context.Context, key string, args ...any) string { return book.Say(ctx, key, args...) }

//go:embed types.yaml
var typesFile []byte

var types = words.NewBook("types", typesFile)

// Type says in the reader's language what an entry of the ledger tells; ok is
// false for a type that has no words.
func Type(ctx context.Context, code string) (word string, ok bool) {
	return types.Say(ctx, code), types.Has(code)
}

func lang(ctx context.Context) string { return string(words.From(ctx)) }
