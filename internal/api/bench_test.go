package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/internal/apikey"
	"parley/internal/db/dbtest"
)

// BenchmarkDecision is one decision through the whole handler, without the wire.
func BenchmarkDecision(b *testing.B) {
	bank := newBank(b, dbtest.Open(b, dbtest.URL(b, "sqlite"), bankClock()))
	bank.customer("C1", "+8613800138000")
	token := bank.scoped(apikey.GateUse)
	bank.api.Rate = 1 << 20
	const body = `{"customer_ref":"C1","to":"+8613800138000","channel":"voice","purpose":"service","discloses":["identity"]}`
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, "/api/v1/gate/decisions", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			bank.handler.ServeHTTP(w, r)
			if w.Code != http.StatusCreated {
				b.Error(w.Code, w.Body)
			}
		}
	})
}
