# Two commands are all the set-up:  make demo   and   make test
GO ?= go

.PHONY: demo test build bench lint generate deps clean

demo: ## the main job on real SIP and RTP, with nothing but Go installed
	$(GO) run ./cmd/parley demo

test: deps ## everything: both engines, real peers, a real browser
	./scripts/test.sh

build: ## one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o parley ./cmd/parley

bench: build ## every benchmark, roughly
	for b in gate ledger voice import api; do ./parley bench $$b --quick; done

generate: ## templ components, and of the style sheet what they use
	$(GO) tool templ generate -path internal
	$(GO) test ./internal/httpx -run TestVendor -update
	gofmt -l internal | grep _templ.go || true

lint: ## what CI's reviewers read; needs golangci-lint
	golangci-lint run

deps: ## what the tests need: installs it where it may, says what is missing where it may not
	./scripts/deps.sh

clean:
	rm -f parley
