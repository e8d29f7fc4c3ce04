"""The journal: conversation, trace, resume point and replay input in one."""
