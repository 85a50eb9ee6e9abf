"""Addresses of people (/account/)."""

from django.urls import URLPattern, path

from webapp.accounts import views

app_name = "accounts"
urlpatterns: list[URLPattern] = [
    path("", views.profile, name="profile"),
    path("login/", views.sign_in, name="login"),
    path("link/<str:token>/", views.link, name="link"),
    path("logout/", views.sign_out, name="logout"),
    path("password/", views.password, name="password"),
    path("users/", views.users, name="users"),
    path("users/<int:user_id>/", views.user_change, name="user_change"),
    path("users/<int:user_id>/link/", views.user_link, name="user_link"),
    path("audit/", views.audit, name="audit"),
]
