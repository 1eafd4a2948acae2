"""Telling Shopify Flow and Klaviyo what happened to members, in shops that want it.

event ──▶ effect of the member ──▶ rules.told: a signal, or nothing ──▶ Flow | Klaviyo ──▶ the mark moves on
"""
